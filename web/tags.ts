// Tags as one writes them: `role=gateway, floor=2`.

export const tagTexts = (tags: Readonly<Record<string, string>>) =>
  Object.entries(tags).map(([key, value]) => (value === "" ? key : `${key}=${value}`));

export const tagsText = (tags: Readonly<Record<string, string>>) => tagTexts(tags).join(", ");

export function tagsFromText(text: string): Record<string, string> {
  const tags: Record<string, string> = {};
  for (const part of text.split(",")) {
    const [key = "", ...rest] = part.split("=");
    if (key.trim() !== "") tags[key.trim()] = rest.join("=").trim();
  }
  return tags;
}
