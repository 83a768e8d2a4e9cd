// Text to take elsewhere, with a button that copies it.
import { useEffect, useRef, useState } from "preact/hooks";
import { messageOf } from "../problem.ts";
import { Icon } from "./icon.tsx";
import { toast } from "./toasts.tsx";

const SAID_MS = 2000;

export function CopyBlock({ text, label, testId }: { text: string; label: string; testId?: string }) {
  const [copied, setCopied] = useState(false);
  const button = useRef<HTMLButtonElement>(null);
  // It takes the place of the form that asked for the text, and the focus with it.
  useEffect(() => button.current?.focus(), []);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      setCopied(true);
      setTimeout(() => setCopied(false), SAID_MS);
    } catch (error) {
      // Browsers allow it on https and localhost only.
      toast(`The browser does not let this page copy (${messageOf(error)}); select the text instead.`, "bad");
    }
  };
  return (
    <div class="copy-block">
      <p class="visually-hidden">{label}</p>
      <pre>
        <code data-testid={testId}>{text}</code>
      </pre>
      <button ref={button} type="button" class="btn btn-sm btn-outline-secondary" onClick={() => void copy()}>
        <Icon name={copied ? "check-lg" : "clipboard"} /> {copied ? "Copied" : "Copy"}
      </button>
    </div>
  );
}
