-- What a host's owner allows (the agent's consent file), as JSON; null without one.
ALTER TABLE client ADD COLUMN consent TEXT;
