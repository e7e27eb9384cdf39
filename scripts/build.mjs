// Makes dist/: one bundle of our own modules with shared chunks, and the types. Packages stay outside of the bundle.
import { spawnSync } from 'node:child_process'
import { globSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const root = fileURLToPath(new URL('..', import.meta.url))
process.chdir(root)
rmSync('dist', { recursive: true, force: true })

const { dependencies, peerDependencies } = JSON.parse(readFileSync('package.json', 'utf8'))
// The default configuration brings its plugins along; an engine that it does not choose is left to who does.
const plugins = readdirSync('plugins').map(name => [`milter-plugin-${name}`, `./plugins/${name}/src/index.ts`])
const notChosen = ['spf-check']
await build({
  // The thread is started by its file (src/bridge/mta/liveness/proc.ts), so it cannot be part of a chunk.
  entryPoints: [
    'index',
    'conditions',
    'lookups',
    'plugin',
    'serve',
    'testing',
    'cli/main',
    'defaults/config',
    'bridge/mta/liveness/table-worker',
    'cli/shadow-thread',
  ].map(name => `src/${name}.ts`),
  outbase: 'src',
  outdir: 'dist',
  chunkNames: 'chunks/[name]-[hash]',
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node24',
  external: [...Object.keys({ ...dependencies, ...peerDependencies }), ...notChosen].flatMap(name => [
    name,
    `${name}/*`,
  ]),
  // CommonJS packages among what is bundled ask for Node's own modules.
  banner: {
    js: "import { createRequire as milterhostRequire } from 'node:module'; const require = milterhostRequire(import.meta.url);",
  },
  // The package's own name means these same modules, not a copy from node_modules.
  alias: {
    milterhost: './src/index.ts',
    'milterhost/conditions': './src/conditions.ts',
    'milterhost/lookups': './src/lookups.ts',
    'milterhost/plugin': './src/plugin.ts',
    'milterhost/serve': './src/serve.ts',
    'milterhost/testing': './src/testing.ts',
    ...Object.fromEntries(plugins),
  },
  logLevel: 'warning',
})

// The launcher runs as root: one file, to be read as a whole, with nothing in it that is not its own.
await build({
  entryPoints: { launcher: 'src/bridge/launch/launcher/main.ts' },
  outdir: 'dist',
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node24',
  logLevel: 'warning',
})

const { status } = spawnSync(
  process.execPath,
  ['node_modules/typescript/bin/tsc', '--project', 'tsconfig.build.json'],
  {
    stdio: 'inherit',
  },
)
if (status !== 0) process.exit(status ?? 1)

// tsc leaves the specifiers of declarations as they are written; what is shipped is .js and .d.ts.
for (const file of globSync('dist/**/*.d.ts')) {
  const text = readFileSync(file, 'utf8')
  writeFileSync(file, text.replaceAll(/((?:from|import\(|import)\s*['"]\.{1,2}\/[^'"]+)\.ts(['"])/g, '$1.js$2'))
}
