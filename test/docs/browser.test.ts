/** The look at the site in a browser (`site/browser.ts`) finds each fault that it looks for, on pages made to have them, and none on a good one. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { look } from '../../site/browser.ts'
import { requirePrograms } from '../interop/harness/index.ts'

interface Made {
  readonly head?: string
  readonly language?: string
  readonly body?: string
}

const page = (title: string, { head = '', language = ' lang="en"', body = '' }: Made = {}): string =>
  `<!doctype html><html${language}><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<link rel="icon" href="data:,">${head || `<title>${title}</title><meta name="description" content="About ${title}">`}</head>
<body>${body || `<main><h1 id="it">${title}</h1><p><a href="#it">up</a></p></main>`}</body></html>`

/** A search as the theme has it, which knows one word. */
const SEARCH = `<main><h1>Search</h1><button onclick="box.hidden = false">Search</button>
<div class="VPLocalSearchBox" id="box" hidden><input aria-label="words" oninput="found.hidden = this.value !== 'greylist'">
<a id="found" hidden href="/good.html#it">greylist</a></div></main>`

const PAGES: Readonly<Record<string, string>> = {
  'good.html': page('Good'),
  'search.html': page('With a search', { body: SEARCH }),
  'console.html': page('Console', { body: '<h1>Console</h1><script>console.error("not so")</script>' }),
  'throws.html': page('Throws', { body: '<h1>Throws</h1><script>throw new Error("broken")</script>' }),
  'missing.html': page('Missing', { body: '<h1>Missing</h1><img src="/gone.png" alt="gone">' }),
  'elsewhere.html': page('Elsewhere', { body: '<h1>Elsewhere</h1><img src="http://example.net/a.png" alt="a">' }),
  'untitled.html': page('', { head: '<title></title>' }),
  'silent.html': page('Silent', { language: '' }),
  'headless.html': page('Headless', { body: '<h2>No first heading</h2>' }),
  'anchor.html': page('Anchor', { body: '<h1>Anchor</h1><a href="#nowhere">on</a>' }),
  'wide.html': page('Wide', { body: '<h1>Wide</h1><div class="long" style="width: 500px">long</div>' }),
  'wider.html': page('Wider', { body: '<h1>Wider</h1><pre class="longer" style="width: 1500px">longer</pre>' }),
  'same.html': page('Good'),
  'pale.html': page('Pale', {
    body: '<main><h1>Pale</h1><p style="color: #bbb; background: #fff">pale</p><img src="data:image/gif;base64,R0lGODlhAQABAAAAACw="></main>',
  }),
}

requirePrograms('browser')('a look at the site in a browser', () => {
  let folder: string
  let faults: string[]

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'milterhost-site-'))
    for (const [name, text] of Object.entries({ ...PAGES, '404.html': page('Not here') }))
      writeFileSync(join(folder, name), text)
    faults = await look(folder, {
      kinds: ['good.html', 'pale.html'],
      searches: [
        { from: 'search.html', words: 'greylist', finds: '/good.html#it' },
        { from: 'search.html', words: 'tarpit', finds: '/good.html#it' },
      ],
    })
  }, 300_000)
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  it.each([
    ['what the console says', '/console.html: the console says: not so'],
    ['scripts that throw', '/throws.html: a script throws: broken'],
    ['files that are missing', /^\/missing\.html: http:\/\/127\.0\.0\.1:\d+\/gone\.png is answered 404$/],
    ['what is fetched from elsewhere', '/elsewhere.html: http://example.net/a.png is fetched from elsewhere'],
    ['a missing title', '/untitled.html: it has no title'],
    ['a missing description', '/untitled.html: it has no description'],
    ['a missing language', '/silent.html: its language is not named'],
    ['a missing heading', '/headless.html: it has 0 headings of the first level, not one'],
    ['an anchor that leads nowhere', '/anchor.html: #nowhere names nothing on it'],
    ['what is wider than a phone', '/wide.html: it is wider than a screen of 390 pixels: div.long'],
    ['what is wider than a desk', '/wider.html: it is wider than a screen of 1440 pixels: pre.longer'],
    ['one title on two pages', '/good.html, /same.html: the same title, Good'],
    ['one description on two pages', '/good.html, /same.html: the same description, About Good'],
    ['words too light to read', /^\/pale\.html: .*\(color-contrast, light\): p$/],
    ['the same in the dark', /^\/pale\.html: .*\(color-contrast, dark\): p$/],
    ['a picture without words', /^\/pale\.html: .*\(image-alt, light\): img$/],
    ['a search that finds nothing', '/search.html: the search for tarpit does not find /good.html#it'],
  ])('finds %s', (_, fault) => {
    expect(faults).toContainEqual(typeof fault === 'string' ? fault : expect.stringMatching(fault))
  })

  it('finds nothing on a good page, and a word that is there', () => {
    expect(faults.filter(fault => /^\/(good|404)\.html: |for greylist/.test(fault))).toEqual([])
  })
})
