/**
 * clamav-milter: `MilterSocket` of its file; idle while the line `Example` stands in it. It waits `ReadTimeout` for clamd, which may scan for
 * `MaxScanTime`.
 */
import { longer, type Product, plus, RANK, SLACK, seconds } from '../product.ts'
import { readKeys } from '../text/key-value.ts'

const CLAMD = [
  '/etc/clamav/clamd.conf',
  '/etc/clamd.d/scan.conf',
  '/etc/clamd.conf',
  '/usr/local/etc/clamd.conf',
  '/usr/pkg/etc/clamd.conf',
]

export const clamavMilter: Product = {
  name: 'clamav-milter',
  title: 'clamav-milter',
  services: ['clamav-milter'],
  rcScripts: ['clamav-milter', 'clamav_milter'],
  options: { letters: 'c', of: { config: 'c' } },
  config: {
    files: [
      '/etc/clamav/clamav-milter.conf',
      '/etc/mail/clamav-milter.conf',
      '/etc/clamav-milter.conf',
      '/usr/local/etc/clamav-milter.conf',
      '/usr/pkg/etc/clamav-milter.conf',
    ],
    read: text => readKeys(text, 'words'),
    keys: { socket: 'miltersocket', user: 'user', group: 'miltersocketgroup', pidFile: 'pidfile', root: 'chroot' },
  },
  variables: { socket: ['CLAMAV_MILTER_SOCKET'], config: ['CLAMAVCONF', 'conffile'] },
  idle: ({ settings }) => {
    const example = settings.get('example')
    return example === undefined
      ? null
      : { value: 'its configuration still has the line Example', source: example.source }
  },
  timeouts: ({ settings, tree }) => {
    const clamd = CLAMD.map(path => tree.read(path)).find(text => text !== null)
    const scan = clamd ? readKeys(clamd, 'words').get('maxscantime') : undefined
    // MaxScanTime is in milliseconds, and 120 s unless set; ReadTimeout in seconds, likewise.
    const longest = scan === undefined ? null : seconds({ ...scan, value: `${scan.value}ms` })
    const read = seconds(settings.get('readtimeout')) ?? { value: 120, source: null }
    return { end: plus(longer(read, longest), SLACK) }
  },
  use: () => ({ rank: RANK.virus, condition: null, onFailure: 'tempfail' }),
}
