"use client";

import { Component, type ReactNode } from "react";

import { isGone, mayReload } from "../lib/chunks.ts";

export function Outdated({ than }: { than: string }) {
  return (
    <p role="alert" id="outdated">
      This page is older than {than}. <button onClick={() => location.reload()}>Reload it</button>
    </p>
  );
}

/**
 * What is shown in the place of a page whose next file the server no longer has: nothing, as it reloads itself, or if
 * that has not helped, that it is too old. Other errors are those of the page.
 */
export class Reloading extends Component<{ children: ReactNode }, { error: unknown; gone: boolean }> {
  override state = { error: null as unknown, gone: false };

  static getDerivedStateFromError(error: unknown) {
    return { error };
  }

  override componentDidCatch(error: unknown) {
    if (!isGone(error)) return;
    if (mayReload(sessionStorage, Date.now())) location.reload();
    else this.setState({ gone: true });
  }

  override render() {
    if (this.state.error === null) return this.props.children;
    if (!isGone(this.state.error)) throw this.state.error;
    return this.state.gone ? <Outdated than="the files on the server" /> : null;
  }
}
