// Search from every page: the fleet filters as one types, other pages lead there. Ctrl-K reaches it from anywhere.

import { useEffect, useRef } from "preact/hooks";
import { useLocation } from "preact-iso";
import { withQuery } from "../navigate.ts";
import { Icon } from "./icon.tsx";

export function SearchBox() {
  const { path, query, route } = useLocation();
  const input = useRef<HTMLInputElement>(null);
  const onFleet = path === "/";
  useEffect(() => {
    const focus = (event: KeyboardEvent) => {
      if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
        event.preventDefault();
        input.current?.focus();
        input.current?.select();
      }
    };
    addEventListener("keydown", focus);
    return () => removeEventListener("keydown", focus);
  }, []);
  const search = (text: string) => route(withQuery("/", onFleet ? query : {}, { q: text }), onFleet);
  return (
    <search class={onFleet ? "" : "search-elsewhere"}>
      <form
        class="search-box"
        onSubmit={(event) => {
          event.preventDefault();
          search(input.current?.value ?? "");
        }}
      >
        <Icon name="search" />
        <input
          ref={input}
          type="search"
          aria-label="Search clients"
          placeholder="Search clients…"
          value={onFleet ? (query.q ?? "") : ""}
          onInput={(event) => {
            if (onFleet) search(event.currentTarget.value);
          }}
        />
        <kbd>Ctrl K</kbd>
      </form>
    </search>
  );
}
