export interface Build {
  sources: string[];
  config: string;
  output: string;
  stamp: string;
}
export const BUILDS: { web: Build; agent: Build };
export function hashOf(root: string, sources: readonly string[]): string;
export function readStamp(path: string): string | null;
export function writeStamp(path: string, value: string): void;
export function isFresh(root: string, build: Build): boolean;
