// Who is signed in, and what that role may do.
import { computed, signal } from "@preact/signals";
import type { Role, Session } from "#contract/api";

export type SessionState = { kind: "unknown" } | { kind: "none" } | { kind: "in"; session: Session };

export const sessionState = signal<SessionState>({ kind: "unknown" });

export const currentUser = computed(() => (sessionState.value.kind === "in" ? sessionState.value.session.user : null));
const role = computed<Role>(() => currentUser.value?.role ?? "viewer");

/** May change tests and clients. */
export const canWrite = computed(() => role.value !== "viewer");
export const isAdmin = computed(() => role.value === "admin");

export function signedIn(session: Session): void {
  sessionState.value = { kind: "in", session };
}

export function signedOut(): void {
  if (sessionState.value.kind !== "none") sessionState.value = { kind: "none" };
}
