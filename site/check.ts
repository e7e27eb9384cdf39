/**
 * `npm run docs:check`: opens every page of the built site in Chromium and says what is wrong with it, a line each. `npm run docs:build` comes
 * before.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { CHROMIUM, look, type Wanted } from './browser.ts'

const dist = join(import.meta.dirname, 'dist')

const WANTED: Wanted = {
  kinds: [
    'index.html',
    'introduction.html',
    'quick-start-postfix.html',
    'plugins/spf.html',
    'examples/subject-tag.html',
    'api/milterhost/serve.html',
    'ja/index.html',
    '404.html',
  ],
  searches: [
    { from: 'index.html', words: 'FILTER_TIMEOUT', finds: '/errors.html#filter_timeout' },
    { from: 'index.html', words: 'greylist', finds: '/plugins/greylist.html' },
    { from: 'introduction.html', words: 'definePlugin', finds: '/writing-a-plugin.html' },
    { from: 'ja/index.html', words: '編集', finds: '/ja/' },
  ],
}

function stop(why: string): never {
  console.error(why)
  process.exit(1)
}

if (!existsSync(join(dist, 'index.html'))) stop('site/dist is not there: npm run docs:build makes it')
if (!existsSync(CHROMIUM))
  stop(
    `${CHROMIUM} is not there: as root on Debian, node scripts/setup-test.mjs installs it; CHROMIUM=PATH names another`,
  )

const begun = performance.now()
const wrong = await look(dist, WANTED)
if (wrong.length > 0) stop(wrong.join('\n'))
console.log(`site/dist: nothing is wrong with it in Chromium, in ${((performance.now() - begun) / 1000).toFixed(1)} s`)
