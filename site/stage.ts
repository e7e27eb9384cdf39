/**
 * Copies the pages into the folder that VitePress reads, each where the site has it, with its links turned to the site's.
 *
 * The files of the repository stay as they are, readable where they lie. A link to a file that is no page of the site loses its link and
 * keeps its words; one to a file that does not exist stops the build.
 */
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, extname, join, relative, resolve } from 'node:path'
import { introduction } from './introduction.ts'
import { HOME, linkTo, PAGES, type Page, REFERENCE } from './pages.ts'

const root = resolve(import.meta.dirname, '..')
const PICTURE = 'docs/chain.svg'
const UPRIGHT = join(import.meta.dirname, 'chain-upright.svg')
const bySource = new Map([HOME, ...PAGES].map(page => [page.source, page]))

/** @param folder is filled, not emptied @returns the pages written */
export function stage(folder: string): number {
  const pages = PAGES.filter(page => !REFERENCE.includes(page))
  for (const page of pages) write(folder, page.path, textOf(page))
  write(folder, HOME.path, withPictures('site/home.md', readFileSync(join(import.meta.dirname, 'home.md'), 'utf8')))
  mkdirSync(join(folder, 'public'), { recursive: true })
  copyFileSync(join(import.meta.dirname, 'icon.svg'), join(folder, 'public/icon.svg'))
  writeFileSync(join(folder, 'picture.css'), styleOf(readFileSync(join(root, PICTURE), 'utf8')))
  return pages.length + 1
}

function write(folder: string, path: string, text: string): void {
  const file = join(folder, `${path}.md`)
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, text)
}

function textOf(page: Page): string {
  const text = readFileSync(join(root, page.source), 'utf8')
  if (extname(page.source) === '.md') return withPictures(page.source, withLinks(page, text))
  const language = extname(page.source).slice(1) || 'text'
  const parts = [`# ${page.title}`, introduction(join(root, page.source)), `\`${page.source}\` in the repository:`]
  return `${parts.join('\n\n')}\n\n\`\`\`\`${language}\n${text.replace(HEAD, '')}\`\`\`\`\n`
}

/** Of a file that is shown: what it says of itself stands above it already. */
const HEAD = /^\/\*\*\n[\s\S]*?\n \*\/\n+/

/** Outside of code: where another page is meant, its place on the site. */
function withLinks(page: Page, text: string): string {
  return outsideCode(text, part =>
    part.replace(
      /(?<!!)\[((?:[^[\]]|\[[^\]]*\])*)\]\((?!https?:|mailto:|#)([^)#\s]+)(#[^)\s]*)?\)/g,
      (_, words, target, anchor = '') => {
        const source = relative(root, resolve(root, dirname(page.source), target))
        const meant = bySource.get(source)
        if (meant !== undefined) return `[${words}](${linkTo(meant)}${anchor})`
        if (existsSync(join(root, source))) return words
        throw new Error(`${page.source}: a link leads to ${target}, which is not there`)
      },
    ),
  )
}

/**
 * Pictures are drawn into the page, so that they follow its light and dark. On a narrow screen the chain stands upright:
 * both drawings are there, and the style of the site shows one of them.
 */
function withPictures(source: string, text: string): string {
  return text.replace(/^!\[[^\]]*\]\(([^)]+\.svg)\)$/gm, (_, file) => {
    const picture = resolve(root, dirname(source), file)
    if (relative(root, picture) !== PICTURE) return drawn('picture', picture)
    return `${drawn('picture lying', picture)}\n${drawn('picture upright', UPRIGHT)}`
  })
}

/** A blank line would end the block of HTML. */
const drawn = (kind: string, file: string): string =>
  `<div class="${kind}" v-pre>\n${readFileSync(file, 'utf8')
    .replace(STYLE, '')
    .replace(/\n\s*\n/g, '\n')
    .trim()}\n</div>`

const STYLE = /<style>([\s\S]*?)<\/style>\s*/

/** What a picture says of its own colours, for a page whose reader chooses between light and dark. */
const styleOf = (svg: string): string =>
  (STYLE.exec(svg)?.[1] ?? '').replace(/@media \(prefers-color-scheme: dark\) \{ (\.\w+ \{[^}]*\}) \}/g, '.dark $1')

function outsideCode(text: string, change: (part: string) => string): string {
  return text
    .split(/(^```[\s\S]*?^```)/m)
    .map((part, index) => (index % 2 === 1 ? part : change(part)))
    .join('')
}
