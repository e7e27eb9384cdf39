/**
 * rspamd: its proxy worker with `milter = yes`, at `bind_socket`; what /etc/rspamd/local.d and override.d say comes over the package's files.
 * The worker's `timeout` is for the scan.
 */
import type { Setting, Settings, SourceText } from '../fact.ts'
import { type Product, plus, RANK, SLACK, seconds } from '../product.ts'
import { Ucl } from '../text/ucl.ts'
import type { Tree } from '../tree.ts'

export const rspamd: Product = {
  name: 'rspamd',
  title: 'rspamd',
  services: ['rspamd'],
  rcScripts: ['rspamd'],
  options: { letters: 'cugp', of: { config: 'c', user: 'u', group: 'g', pidFile: 'p' } },
  config: {
    files: ['/etc/rspamd/rspamd.conf', '/usr/local/etc/rspamd/rspamd.conf', '/usr/pkg/etc/rspamd/rspamd.conf'],
    read: proxyWorker,
    keys: { socket: 'socket' },
  },
  idle: ({ settings }) => {
    const milter = settings.get('milter')
    if (milter !== undefined && /^(?:yes|true|on|1)$/i.test(milter.value)) return null
    return { value: 'its proxy worker is not set to milter = yes', source: milter?.source ?? null }
  },
  timeouts: ({ settings }) => {
    const worker = seconds(settings.get('timeout'))
    return worker === null ? {} : { end: plus(worker, SLACK) }
  },
  ownProtocol: true,
  use: () => ({ rank: RANK.spam, condition: null, onFailure: 'tempfail' }),
}

/** The keys of the worker that speaks the milter protocol, and its socket as `socket`. */
function proxyWorker(text: SourceText, tree: Tree): Settings {
  const folder = text.file.slice(0, text.file.lastIndexOf('/'))
  const variables = {
    CONFDIR: folder,
    LOCAL_CONFDIR: folder,
    RUNDIR: '/run/rspamd',
    DBDIR: '/var/lib/rspamd',
    LOGDIR: '/var/log/rspamd',
    SHAREDIR: '/usr/share/rspamd',
  }
  const ucl = new Ucl(
    path => tree.read(path),
    path => tree.list(path),
    variables,
  )
  ucl.read(text)
  const found = new Map<string, Setting>()
  const worker = [...ucl.sections].find(
    ([path, keys]) =>
      path === 'worker/rspamd_proxy' || path === 'worker/proxy' || keys.get('type')?.value === 'rspamd_proxy',
  )
  for (const [key, { value, source }] of worker?.[1] ?? []) found.set(key, { value, source })
  const bind = found.get('bind_socket')
  if (bind !== undefined) found.set('socket', { value: bindAddress(bind.value), source: bind.source })
  return found
}

/** `localhost:11332`, `*:11332`, `[::1]:11332`, `/path mode=0660`, `systemd:0`, or a list of these, of which the first. */
function bindAddress(text: string): string {
  const [first = ''] = text.replace(/^\[\s*(?=["'])/, '').split(/\s*,\s*|\s+(?=\w+=)|\]$/)
  const place = first.trim().replace(/^["']|["']$/g, '')
  if (place.startsWith('/')) return place
  if (place.startsWith('systemd:')) return 'fd:3'
  const [, host = '', port = '11332'] = /^(\*v?[46]?|\[[^\]]*\]|[^:]*)(?::(\d+))?/.exec(place) ?? []
  return `inet:${port}@${/^\*/.test(host) ? '0.0.0.0' : host}`
}
