/** milter-regex: `-p` of its command line, else its own path; `-j` is a folder it takes for `/`. */
import { type Product, RANK } from '../product.ts'

export const milterRegex: Product = {
  name: 'milter-regex',
  title: 'milter-regex',
  services: ['milter-regex'],
  rcScripts: ['milter-regex', 'milterregex', 'milter_regex'],
  options: { letters: 'cfGjlmMpPrtuU', of: { socket: 'p', user: 'u', group: 'G', pidFile: 'r', root: 'j' } },
  variables: { socket: ['SOCKET', 'socket'], user: ['user'] },
  defaultSocket: tree =>
    tree.exists('/usr/lib/systemd/system/milter-regex.service')
      ? 'unix:/run/milter-regex/sock'
      : 'unix:/var/spool/milter-regex/sock',
  use: () => ({ rank: RANK.policy, condition: 'remote', onFailure: 'tempfail' }),
}
