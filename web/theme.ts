// Dark, light or the system's theme; remembered in this browser. public/theme.js applies it before the first paint.
import { effect, signal } from "@preact/signals";

export const THEMES = ["system", "dark", "light"] as const;
export type Theme = (typeof THEMES)[number];

const KEY = "streamswarm.theme";
const prefersLight = matchMedia("(prefers-color-scheme: light)");

function remembered(): Theme {
  try {
    const stored = localStorage.getItem(KEY);
    return THEMES.find((theme) => theme === stored) ?? "system";
  } catch {
    // Storage may be forbidden; the theme then lasts as long as the page.
    return "system";
  }
}

export const theme = signal<Theme>(remembered());
const systemLight = signal(prefersLight.matches);
prefersLight.addEventListener("change", (event) => {
  systemLight.value = event.matches;
});

/** The theme on screen; charts redraw with it, since a canvas does not follow CSS variables. */
export const shownTheme = signal<"dark" | "light">("dark");

effect(() => {
  const light = theme.value === "light" || (theme.value === "system" && systemLight.value);
  document.documentElement.dataset.bsTheme = light ? "light" : "dark";
  shownTheme.value = light ? "light" : "dark";
});

export function chooseTheme(next: Theme): void {
  theme.value = next;
  try {
    localStorage.setItem(KEY, next);
  } catch {
    // As in remembered().
  }
}
