// The same with real Sendmail before milterhost, and 20 messages a second. Without a flag Sendmail lets through what a broken milter
// cannot judge.

import { requirePrograms, startSendmail } from '../harness/index.ts'
import { milterInTrouble } from './suite.ts'

requirePrograms('sendmail', 'pymilter')('behind Sendmail, under 20 messages a second', () => {
  milterInTrouble({
    rate: 20,
    start: ({ address }) => startSendmail({ milters: [address], flags: '', timeouts: 'C:1m;S:30s;R:30s;E:5m' }),
  })
})
