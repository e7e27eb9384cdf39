/**
 * milter-greylist: `-p`, or `socket "path"` of greylist.conf. A line of its access list may make a client wait, `tarpit 30s`: the longest of them
 * is what an answer to a command may take beyond the usual. Letting mail through unlisted does no harm, so it fails open.
 */
import type { Setting, Settings, SourceText } from '../fact.ts'
import { COMMAND, type Product, plus, RANK, seconds } from '../product.ts'
import { logicalLines } from '../text/lines.ts'

export const milterGreylist: Product = {
  name: 'milter-greylist',
  title: 'milter-greylist',
  services: ['milter-greylist', 'greylist'],
  rcScripts: ['milter-greylist', 'milter_greylist'],
  options: { letters: 'aAdDfGgLMpPuUw', of: { socket: 'p', pidFile: 'P', user: 'u', config: 'f' } },
  config: {
    files: [
      '/etc/milter-greylist/greylist.conf',
      '/etc/mail/greylist.conf',
      '/usr/local/etc/mail/greylist.conf',
      '/usr/pkg/etc/mail/greylist.conf',
    ],
    read: greylistConf,
    keys: { socket: 'socket', user: 'user', pidFile: 'pidfile' },
  },
  variables: {
    socket: ['SOCKET', 'sockfile', 'socket'],
    user: ['USER', 'runas'],
    config: ['CONFFILE', 'cfgfile'],
    pidFile: ['PIDFILE', 'pidfile'],
  },
  defaultSocket: () => '/var/milter-greylist/milter-greylist.sock',
  timeouts: ({ settings }) => {
    const tarpit = seconds(settings.get('tarpit'))
    return tarpit === null ? {} : { command: plus(tarpit, COMMAND) }
  },
  use: () => ({ rank: RANK.greylist, condition: 'remote', onFailure: 'accept' }),
}

/** `key "value" …` lines; `tarpit` is the longest wait of any access list line. */
export function greylistConf({ file, text }: SourceText): Settings {
  const found = new Map<string, Setting>()
  let longest = 0
  for (const { line, text: whole } of logicalLines(text)) {
    const bare = whole.replace(/"[^"]*"|#.*$/g, part => (part.startsWith('#') ? '' : part)).trim()
    const source = { file, line }
    if (/^[rd]?acl\b|^(?:sm_macro|default)\b/i.test(bare)) {
      for (const [, wait = '', unit = 's'] of bare.replace(/"[^"]*"/g, '""').matchAll(/\btarpit\s+(\d+)([smhdw]?)/gi)) {
        const setting = { value: `${wait}${unit || 's'}`, source }
        const length = seconds(setting)?.value ?? 0
        if (length <= longest) continue
        longest = length
        found.set('tarpit', setting)
      }
      continue
    }
    const match = /^([a-z]\w*)\s+(?:"([^"]*)"|(\S+))/i.exec(bare)
    if (match !== null) found.set(match[1]!.toLowerCase(), { value: match[2] ?? match[3] ?? '', source })
  }
  return found
}
