// Navigation around every page: a rail on the left, a bar at the bottom of a phone.

import type { ComponentChildren } from "preact";
import { useLocation } from "preact-iso";
import { command } from "../api.ts";
import { messageOf } from "../problem.ts";
import { currentUser, isAdmin, sessionState, signedOut } from "../session.ts";
import { chooseTheme, THEMES, theme } from "../theme.ts";
import { Icon } from "./icon.tsx";
import { Toasts, toast } from "./toasts.tsx";

interface Place {
  href: string;
  icon: string;
  label: string;
  active: (path: string) => boolean;
}

const PLACES: readonly Place[] = [
  { href: "/", icon: "house", label: "Fleet", active: (path) => path === "/" || path.startsWith("/clients") },
  { href: "/tests", icon: "activity", label: "Tests", active: (path) => path.startsWith("/tests") },
  { href: "/events", icon: "exclamation-triangle", label: "Events", active: (path) => path === "/events" },
  { href: "/tokens", icon: "key", label: "Tokens", active: (path) => path === "/tokens" },
];
const ADMIN_PLACES: readonly Place[] = [
  { href: "/users", icon: "people", label: "Users", active: (path) => path === "/users" },
  { href: "/audit", icon: "journal-text", label: "Audit", active: (path) => path === "/audit" },
];

function Mark() {
  return (
    <svg class="brand-mark" viewBox="0 0 32 32" width="28" height="28" aria-hidden="true" focusable="false">
      <path d="M16 3 27.3 9.5v13L16 29 4.7 22.5v-13z" />
      <circle cx="16" cy="16" r="4" />
    </svg>
  );
}

const THEME_ICON = { system: "circle-half", dark: "moon-stars", light: "sun" } as const;

async function signOut(): Promise<void> {
  try {
    await command("DELETE", "/session");
    signedOut();
  } catch (error) {
    toast(`Signing out failed: ${messageOf(error)}`, "bad");
  }
}

function AccountMenu() {
  const user = currentUser.value;
  const bypass = sessionState.value.kind === "in" && sessionState.value.session.bypass;
  return (
    <>
      <button type="button" class="rail-link" popovertarget="account-menu">
        <Icon name="person-circle" />
        <span>Account</span>
      </button>
      <div id="account-menu" class="account-menu" popover="auto">
        <p class="account-name">
          <strong>{user?.username}</strong>
          <span class="text-secondary">{user?.role}</span>
        </p>
        <fieldset class="theme-choice">
          <legend>Theme</legend>
          {THEMES.map((one) => (
            <label>
              <input type="radio" name="theme" checked={theme.value === one} onChange={() => chooseTheme(one)} />
              <Icon name={THEME_ICON[one]} /> {one}
            </label>
          ))}
        </fieldset>
        {!bypass && (
          <button type="button" class="btn btn-sm btn-outline-secondary" onClick={() => void signOut()}>
            <Icon name="box-arrow-right" /> Sign out
          </button>
        )}
      </div>
    </>
  );
}

export function Shell({ children }: { children: ComponentChildren }) {
  const { path } = useLocation();
  const bypass = sessionState.value.kind === "in" && sessionState.value.session.bypass;
  const places = isAdmin.value ? [...PLACES, ...ADMIN_PLACES] : PLACES;
  return (
    <div class="shell">
      <a class="skip-link" href="#main">
        Skip to content
      </a>
      <nav class="rail" aria-label="Main">
        <a class="rail-mark" href="/" aria-label="StreamSwarm, fleet">
          <Mark />
        </a>
        {places.map((place) => (
          <a class="rail-link" href={place.href} aria-current={place.active(path) ? "page" : undefined}>
            <Icon name={place.icon} />
            <span>{place.label}</span>
          </a>
        ))}
        <span class="rail-space" />
        <AccountMenu />
      </nav>
      <div class="content">
        {bypass && (
          <div class="bypass" role="alert">
            <Icon name="exclamation-triangle" /> Sign-in is switched off (AUTH_BYPASS); anyone on this machine is admin.
          </div>
        )}
        {children}
      </div>
      <Toasts />
    </div>
  );
}
