// A page that failed to draw says so and leaves the rest of the dashboard usable.
import { Component, type ComponentChildren } from "preact";
import { messageOf } from "../problem.ts";

interface State {
  error: unknown;
}

interface Props {
  /** Another place is another chance. */
  place: string;
  children: ComponentChildren;
}

export class ErrorBoundary extends Component<Props, State> {
  override state: State = { error: undefined };

  override componentDidCatch(error: unknown) {
    console.error(error);
    this.setState({ error });
  }

  override componentDidUpdate(before: Props) {
    if (before.place !== this.props.place && this.state.error !== undefined) this.setState({ error: undefined });
  }

  override render() {
    if (this.state.error === undefined) return this.props.children;
    return (
      <main class="page page-narrow">
        <h1>This page could not be drawn</h1>
        <p class="text-secondary">
          Nothing was lost: agents keep measuring and the data is safe. Loading the page again usually helps; if it does not,
          please report the text below.
        </p>
        <pre class="copy-block">{messageOf(this.state.error)}</pre>
        <p>
          <button type="button" class="btn btn-primary" onClick={() => location.reload()}>
            Load again
          </button>{" "}
          <a class="btn btn-outline-secondary" href="/" onClick={() => this.setState({ error: undefined })}>
            To the fleet
          </a>
        </p>
      </main>
    );
  }
}
