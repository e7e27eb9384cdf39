/**
 * How VitePress makes the site: the sidebar is the list of pages, search and fonts are the site's own, nothing is fetched when it is
 * built or looked at.
 */
import { defineConfig } from 'vitepress'
import { linkTo, SECTIONS } from '../pages.ts'
import { slugOf } from '../slug.ts'

export default defineConfig({
  title: 'milterhost',
  description: 'One milter to Postfix and Sendmail, many filters behind it in one ordered chain',
  srcDir: '.pages',
  outDir: 'dist',
  cacheDir: '.vitepress/cache',
  head: [['link', { rel: 'icon', type: 'image/svg+xml', href: '/icon.svg' }]],
  markdown: { anchor: { slugify: slugOf } },
  // The index of the search is one file.
  vite: { build: { chunkSizeWarningLimit: 2_000 } },
  locales: {
    root: { label: 'English', lang: 'en' },
    ja: { label: '日本語', lang: 'ja', link: '/ja/' },
  },
  themeConfig: {
    logo: '/icon.svg',
    search: { provider: 'local' },
    // The only page in Japanese is its first.
    i18nRouting: false,
    outline: { level: [2, 3], label: 'On this page' },
    nav: [
      { text: 'Guide', link: '/introduction', activeMatch: '^/(introduction|quick|concepts)' },
      { text: 'Configuration', link: '/configuration' },
      { text: 'Plugins', link: '/writing-a-plugin' },
      { text: 'API', link: '/api/milterhost', activeMatch: '^/api/' },
    ],
    sidebar: SECTIONS.map(({ title, pages }) => ({
      text: title,
      collapsed: false,
      items: pages.map(page => ({ text: page.title, link: linkTo(page) })),
    })),
    docFooter: { prev: 'Before', next: 'Next' },
  },
})
