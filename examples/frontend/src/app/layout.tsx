import type { Metadata } from "next";
import type { ReactNode } from "react";

import "./site.css";
import { Providers } from "./providers";

export const metadata: Metadata = { title: "nexod tasks", robots: { index: false, follow: false } };

export default function Layout({ children }: { children: ReactNode }) {
  return (
    <html lang="en">
      <body>
        <Providers>{children}</Providers>
      </body>
    </html>
  );
}
