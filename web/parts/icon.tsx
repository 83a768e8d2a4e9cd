// An icon of Bootstrap Icons; styles/icons.css names the ones in use.
export function Icon({ name }: { name: string }) {
  return <i class={`icon icon-${name}`} aria-hidden="true" />;
}
