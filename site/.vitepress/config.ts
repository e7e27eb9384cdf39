/**
 * How VitePress makes the site: the sidebar is the list of pages, search and fonts are the site's own, nothing is fetched when it is
 * built or looked at.
 */
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { defineConfig } from 'vitepress'
import { descriptionOf } from '../introduction.ts'
import { HOME, linkTo, REFERENCE, SECTIONS } from '../pages.ts'
import { slugOf } from '../slug.ts'
import { code } from './code.ts'

const pages = resolve(import.meta.dirname, '../.pages')
const isReference = (file: string): boolean => REFERENCE.some(({ path }) => `${path}.md` === file)

/** Of a text that is searched. Japanese has no spaces between its. Runs in the browser too, so it stands on nothing outside of itself. */
const words = (text: string): string[] => {
  const japanese = new Intl.Segmenter('ja', { granularity: 'word' })
  return text
    .split(/[\n\r\p{Z}\p{P}]+/u)
    .flatMap(word =>
      /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]/u.test(word)
        ? Array.from(japanese.segment(word), ({ segment }) => segment)
        : word,
    )
}

export default defineConfig({
  title: 'milterhost',
  description: 'One milter to Postfix and Sendmail, many filters behind it in one ordered chain',
  srcDir: '.pages',
  outDir: 'dist',
  cacheDir: '.vitepress/cache',
  head: [
    ['link', { rel: 'icon', type: 'image/svg+xml', href: '/icon.svg' }],
    ['meta', { name: 'theme-color', content: '#2f5fb3' }],
  ],
  markdown: {
    anchor: { slugify: slugOf },
    // Comments in these are dark and light enough to be read.
    theme: { light: 'github-light-high-contrast', dark: 'github-dark-high-contrast' },
    config: code,
  },
  // The index of the search is one file.
  vite: { build: { chunkSizeWarningLimit: 2_000 } },
  locales: {
    root: { label: 'English', lang: 'en' },
    ja: {
      label: '日本語',
      lang: 'ja',
      link: '/ja/',
      themeConfig: {
        outline: { level: [2, 3], label: '目次' },
        docFooter: { prev: '前へ', next: '次へ' },
        sidebarMenuLabel: 'メニュー',
        returnToTopLabel: 'ページの先頭へ',
      },
    },
  },
  /** The name that the browser shows for a page, and what search engines show below it: no two pages have the same. */
  transformPageData(page) {
    if (page.filePath === `${HOME.path}.md`) return {}
    return {
      title: isReference(page.filePath) ? `API of ${page.title}` : page.title,
      description: descriptionOf(readFileSync(resolve(pages, page.filePath), 'utf8')),
    }
  },
  themeConfig: {
    logo: '/icon.svg',
    search: { provider: 'local', options: { miniSearch: { options: { tokenize: words } } } },
    // The only page in Japanese is its first.
    i18nRouting: false,
    outline: { level: [2, 3], label: 'On this page' },
    nav: [
      { text: 'Guide', link: '/introduction', activeMatch: '^/(introduction|quick|concepts)' },
      { text: 'Configuration', link: '/configuration' },
      { text: 'Recipes', link: '/recipes' },
      { text: 'Write a plugin', link: '/writing-a-plugin' },
      { text: 'API', link: '/api/milterhost', activeMatch: '^/api/' },
    ],
    sidebar: SECTIONS.map(({ title, collapsed = false, pages }) => ({
      text: title,
      collapsed,
      items: pages.map(page => ({ text: page.title, link: linkTo(page) })),
    })),
    docFooter: { prev: 'Previous', next: 'Next' },
    notFound: {
      title: 'Page not found',
      quote: 'There is no page at this address. The search above finds options, conditions and error codes by name.',
      linkText: 'To the start',
      linkLabel: 'to the start',
    },
  },
})
