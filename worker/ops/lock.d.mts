export function withLock<T>(path: string, onWait: (pid: number) => void, work: () => T | Promise<T>): Promise<T>;
export function isAlive(pid: number): boolean;
