/**
 * Looks at the site with a reader's eyes: each page is opened in Chromium, without a window, on a phone's width and on a desk's.
 *
 * `links.ts` reads what was written; here is what only shows in a browser: scripts that fail, files that are missing, pages that can be
 * pushed sideways, words too light to read, a search that finds nothing. Nothing but loopback can be reached from the browser.
 */
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import axe from 'axe-core'
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core'
import { type Served, serveFolder } from './serve.ts'

/** Where Debian's package puts it. */
export const CHROMIUM: string = process.env.CHROMIUM || '/usr/bin/chromium'

export interface Search {
  /** The page on which it is asked; below the site. */
  readonly from: string
  readonly words: string
  /** What must be among the results: a page, or a heading of it. */
  readonly finds: string
}

export interface Wanted {
  /** Pages whose accessibility is tested, in light and in dark: one of each kind, since it takes long. */
  readonly kinds: readonly string[]
  readonly searches: readonly Search[]
}

/** What `in-page.js` tells. */
interface Seen {
  readonly title: string
  readonly description: string
  readonly language: string
  readonly headings: readonly string[]
  readonly isWide: boolean
  readonly standingOut: readonly string[]
  readonly deadAnchors: readonly string[]
}

const PHONE = { width: 390, height: 844 }
const DESK = { width: 1440, height: 900 }
/** As many as there are processors of a small machine. */
const TABS = 2
/** Milliseconds; only what hangs comes near it. */
const PATIENCE = 60_000
/** For words that are not found, each time. */
const SEARCH_PATIENCE = 10_000

const inPage = readFileSync(join(import.meta.dirname, 'in-page.js'), 'utf8')
/**
 * WCAG 2.1 A and AA, without two that the theme breaks and that keep nobody out: titles in the sidebar are buttons with a button inside, and
 * the label of the search does not name the keys that open it.
 */
const RULES = {
  runOnly: { type: 'tag', values: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa'] },
  rules: { 'nested-interactive': { enabled: false }, 'label-content-name-mismatch': { enabled: false } },
  resultTypes: ['violations'],
}

/** @returns what is wrong, a line each */
export async function look(dist: string, { kinds, searches }: Wanted): Promise<string[]> {
  const pages = globSync('**/*.html', { cwd: dist }).sort()
  await using site = await serveFolder(dist)
  const browser = await chromium.launch({
    executablePath: CHROMIUM,
    args: ['--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1'],
  })
  try {
    const seen = new Map<string, Seen>()
    const faults = [
      ...(await eachPage(browser, { viewport: PHONE }, pages, async (page, path, wrong) => {
        await open(page, site, path)
        const phone = await page.evaluate<Seen>(inPage)
        seen.set(path, phone)
        wrong(...faultsOf(phone), ...sideways(phone, PHONE.width))
        await page.setViewportSize(DESK)
        wrong(...sideways(await page.evaluate<Seen>(inPage), DESK.width))
      })),
      ...(await accessible(browser, site, kinds)),
      ...(await eachPage(browser, { viewport: DESK }, searches, (page, search, wrong) =>
        find(page, site, search, wrong),
      )),
    ]
    return [...faults, ...twice(seen, 'title'), ...twice(seen, 'description')]
  } finally {
    await browser.close()
  }
}

type Wrong = (...what: readonly string[]) => void

/** Does the same in a new tab for each, some at a time; what the tab itself complains of is wrong too. */
async function eachPage<T extends string | Search>(
  browser: Browser,
  options: Parameters<Browser['newContext']>[0],
  all: readonly T[],
  visit: (page: Page, one: T, wrong: Wrong) => Promise<void>,
): Promise<string[]> {
  const context = await browser.newContext(options)
  context.setDefaultTimeout(PATIENCE)
  const faults: string[] = []
  const left = [...all]
  const tab = async (): Promise<void> => {
    for (let one = left.shift(); one !== undefined; one = left.shift()) {
      const path = `/${typeof one === 'string' ? one : one.from}`
      const wrong: Wrong = (...what) => faults.push(...what.map(fault => `${path}: ${fault}`))
      const page = await listening(context, wrong)
      await visit(page, one, wrong)
      page.removeAllListeners()
      await page.close()
    }
  }
  await Promise.all(Array.from({ length: TABS }, tab))
  await context.close()
  return faults
}

/** A tab that tells what goes wrong in it. */
async function listening(context: BrowserContext, wrong: Wrong): Promise<Page> {
  const page = await context.newPage()
  page.on('console', message => {
    if (message.type() === 'error') wrong(`the console says: ${message.text()}`)
  })
  page.on('pageerror', error => wrong(`a script throws: ${error.message}`))
  page.on('request', request => {
    const { protocol, hostname } = new URL(request.url())
    if (protocol.startsWith('http') && hostname !== '127.0.0.1') wrong(`${request.url()} is fetched from elsewhere`)
  })
  page.on('requestfailed', request => wrong(`${request.url()} fails: ${request.failure()?.errorText}`))
  page.on('response', response => {
    if (response.status() >= 400) wrong(`${response.url()} is answered ${response.status()}`)
  })
  return page
}

/** Until the site's script has made the page its own. */
async function open(page: Page, site: Served, path: string): Promise<void> {
  await page.goto(`${site.origin}/${path}`)
  await page.waitForFunction("[...document.querySelectorAll('#app')].every(app => app.__vue_app__ !== undefined)")
}

function* faultsOf({ title, description, language, headings, deadAnchors }: Seen): Generator<string> {
  if (title === '') yield 'it has no title'
  if (description === '') yield 'it has no description'
  if (language === '') yield 'its language is not named'
  if (headings.length !== 1 || headings[0] === '')
    yield `it has ${headings.length} headings of the first level, not one`
  for (const name of deadAnchors) yield `#${name} names nothing on it`
}

function* sideways({ isWide, standingOut }: Seen, width: number): Generator<string> {
  if (isWide) yield `it is wider than a screen of ${width} pixels: ${standingOut.join(', ')}`
}

async function accessible(browser: Browser, site: Served, kinds: readonly string[]): Promise<string[]> {
  const faults: string[] = []
  for (const colorScheme of ['light', 'dark'] as const)
    faults.push(
      ...(await eachPage(browser, { viewport: DESK, colorScheme }, kinds, async (page, path, wrong) => {
        await open(page, site, path)
        await page.evaluate(axe.source)
        const { violations } = await page.evaluate<Violations>(`axe.run(document, ${JSON.stringify(RULES)})`)
        for (const { id, help, nodes } of violations)
          wrong(
            `${help} (${id}, ${colorScheme}): ${nodes
              .slice(0, 3)
              .map(({ target }) => target.join(' '))
              .join(', ')}`,
          )
      })),
    )
  return faults
}

interface Violations {
  readonly violations: readonly {
    readonly id: string
    readonly help: string
    readonly nodes: readonly { readonly target: readonly string[] }[]
  }[]
}

async function find(page: Page, site: Served, { from, words, finds }: Search, wrong: Wrong): Promise<void> {
  await open(page, site, from)
  await page.getByRole('button', { name: 'Search' }).first().click()
  const box = page.locator('.VPLocalSearchBox')
  await box.locator('input').fill(words)
  await box
    .locator(`a[href^="${finds}"]`)
    .first()
    .waitFor({ timeout: SEARCH_PATIENCE })
    .catch(() => wrong(`the search for ${words} does not find ${finds}`))
}

/** Titles and descriptions tell pages apart where only these are shown. */
function twice(seen: ReadonlyMap<string, Seen>, key: 'title' | 'description'): string[] {
  const paths = Map.groupBy(seen.keys(), path => seen.get(path)![key])
  return [...paths]
    .filter(([text, all]) => text !== '' && all.length > 1)
    .map(([text, all]) => `${all.map(path => `/${path}`).join(', ')}: the same ${key}, ${text}`)
}
