/**
 * What detection found as a configuration to paste: an entry for each milter in use, written out, with the place its socket was read from.
 *
 * Text only, of literals that are quoted as JSON; the result passes `milterhost check`. Used by the command `detect`.
 */
import { type FoundMilter, inUse, sourceText } from '../bridge/detect/index.ts'

export function detectedConfig(milters: readonly FoundMilter[]): string {
  const used = milters.filter(inUse)
  const remote = used.some(({ condition }) => condition === 'remote')
  const lines = [
    "import { defineConfig, socket } from 'milterhost'",
    ...(remote ? ["import { all, authenticated, not, remoteNetwork } from 'milterhost/conditions'"] : []),
    '',
    ...(remote ? ['const fromOutside = all(remoteNetwork(), not(authenticated()))', ''] : []),
    'export default defineConfig({',
    '  filters: [',
    ...used.flatMap(entry),
    '  ],',
    '})',
  ]
  return lines.join('\n')
}

function entry({ name, title, address, timeouts, condition, onFailure, pipelining, launch }: FoundMilter): string[] {
  const from = address.source === null ? 'its default socket' : sourceText(address.source)
  const times = Object.entries(timeouts).map(([stage, { value }]) => `${stage}: '${value}s'`)
  const options = [
    ...(condition === 'remote' ? ['when: fromOutside'] : []),
    ...(onFailure === 'tempfail' ? [] : [`onFailure: '${onFailure}'`]),
    ...(pipelining ? ['pipelining: true'] : []),
    ...(times.length === 0 ? [] : [`timeouts: { ${times.join(', ')} }`]),
    ...(launch === null
      ? []
      : [`launch: { ${Object.entries(launch.value).map(([how, what]) => `${how}: ${quoted(what)}`)} }`]),
  ]
  return [
    // A name of a file is anybody's: it must not end the comment's line.
    `    // ${`${title}: ${from}`.replace(/[^\x20-\x7e]/g, '?')}`,
    `    socket(${quoted(name)}, ${quoted(address.value)}${options.length === 0 ? '' : `, { ${options.join(', ')} }`}),`,
  ]
}

const quoted = (text: string): string =>
  `'${JSON.stringify(text).slice(1, -1).replace(/\\"/g, '"').replace(/'/g, "\\'")}'`
