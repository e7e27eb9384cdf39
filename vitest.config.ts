import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { defineConfig, type ViteUserConfig } from 'vitest/config'

const at = (path: string): string => fileURLToPath(new URL(path, import.meta.url))

const config: ViteUserConfig = defineConfig({
  resolve: {
    alias: [
      { find: /^milterhost$/, replacement: at('./src/index.ts') },
      { find: /^milterhost\/(conditions|lookups|plugin|serve|testing)$/, replacement: at('./src/$1.ts') },
      { find: /^milter-plugin-(\w+)$/, replacement: at('./plugins/$1/src/index.ts') },
    ],
  },
  test: {
    include: ['test/**/*.test.ts', '{plugins,packages}/*/test/**/*.test.ts'],
    // The default configuration takes up what is installed: no machine's milters get into the tests.
    env: { MILTERHOST_DETECT_ROOT: at('./test/bridge/detect/trees/empty') },
    // Most of the slow tests wait for real servers and their time limits, not for a processor.
    maxWorkers: availableParallelism() + 1,
    testTimeout: 20_000,
    hookTimeout: 60_000,
    // Counted by .ci/run; the file is named there.
    ...(process.env.MILTERHOST_TEST_RESULTS && {
      reporters: ['default', 'json'],
      outputFile: { json: process.env.MILTERHOST_TEST_RESULTS },
    }),
  },
})

export default config
