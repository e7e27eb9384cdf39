/** dkimpy-milter: `Socket` of the file that its command line names; without one, systemd's socket or a path of its own. */
import { type Product, RANK } from '../product.ts'
import { readKeys } from '../text/key-value.ts'

export const dkimpyMilter: Product = {
  name: 'dkimpy-milter',
  title: 'dkimpy-milter',
  services: ['dkimpy-milter'],
  rcScripts: ['dkimpy-milter', 'dkimpy_milter'],
  options: { letters: 'P', of: { pidFile: 'P' } },
  config: {
    files: [
      '/etc/dkimpy-milter/dkimpy-milter.conf',
      '/etc/dkimpy-milter.conf',
      '/usr/local/etc/dkimpy-milter/dkimpy-milter.conf',
      '/usr/pkg/etc/dkimpy-milter/dkimpy-milter.conf',
    ],
    operand: true,
    read: text => readKeys(text, 'words'),
    keys: { socket: 'socket', user: 'userid', pidFile: 'pidfile' },
  },
  // dkimpy-milter 1.2.3, dkimpy_milter/__init__.py.
  defaultSocket: () => 'local:/run/dkimpy-milter/dkimpy-milter.sock',
  use: ({ settings }) => {
    const mode = settings.get('mode')?.value ?? 'sv'
    return { rank: mode.includes('v') ? RANK.verifier : RANK.signer, condition: null, onFailure: 'tempfail' }
  },
}
