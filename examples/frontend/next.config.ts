import type { NextConfig } from "next";

const config: NextConfig = {
  // Files alone, in out/: any web server, bucket or CDN serves them.
  output: "export",
  images: { unoptimized: true },
  // Given, so that two builds of one source have the same files. Otherwise Next.js makes one up.
  generateBuildId: () => process.env.NEXT_BUILD_ID ?? null,
  // Without it, the folder of some other lock file further up is taken.
  turbopack: { root: import.meta.dirname },
};

export default config;
