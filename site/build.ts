/**
 * The documentation as a site: `npm run docs:build` writes it to `site/dist`, `npm run docs:dev` serves it while pages are written.
 *
 * The pages are those of the repository (`pages.ts`), copied into a folder that VitePress reads, and the reference of what others
 * import. A dead link stops the build.
 */
import { globSync, mkdirSync, rmSync, statSync, watch } from 'node:fs'
import { join, resolve } from 'node:path'
import { build, createServer } from 'vitepress'
import { faults } from './links.ts'
import { PAGES } from './pages.ts'
import { reference } from './reference.ts'
import { stage } from './stage.ts'

const site = import.meta.dirname
const root = resolve(site, '..')
const folder = join(site, '.pages')

rmSync(folder, { recursive: true, force: true })
mkdirSync(folder)
const begun = performance.now()
const pages = stage(folder) + (await reference(folder))

if (process.argv.includes('--serve')) {
  const server = await createServer(site, { host: '127.0.0.1' })
  await server.listen()
  server.printUrls()
  // Editors replace files, so folders are watched; the reference is made once.
  for (const place of new Set(PAGES.map(({ source }) => resolve(root, source, '..'))))
    watch(place, (_, name) => {
      if (name?.endsWith('.md')) stage(folder)
    })
} else {
  await build(site)
  const wrong = faults(join(site, 'dist'))
  if (wrong.length > 0) {
    console.error(wrong.join('\n'))
    process.exit(1)
  }
  const files = globSync('**/*', { cwd: join(site, 'dist') }).map(file => statSync(join(site, 'dist', file)))
  const bytes = files.filter(file => file.isFile()).reduce((sum, { size }) => sum + size, 0)
  const seconds = ((performance.now() - begun) / 1000).toFixed(1)
  console.log(`site/dist: ${pages} pages, ${(bytes / 1e6).toFixed(1)} MB, in ${seconds} s`)
}
