import type { NextConfig } from "next";

const config: NextConfig = {
  // Files alone, in out/: any web server, bucket or CDN serves them.
  output: "export",
  images: { unoptimized: true },
  // Without it, the folder of some other lock file further up is taken.
  turbopack: { root: import.meta.dirname },
};

export default config;
