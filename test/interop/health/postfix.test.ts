// A milter that is killed, stopped, and absent at the start, with real Postfix before milterhost and 20 messages a second.

import { requirePrograms, startPostfix } from '../harness/index.ts'
import { milterInTrouble } from './suite.ts'

requirePrograms('postfix', 'pymilter')('behind Postfix, under 20 messages a second', () => {
  milterInTrouble({
    rate: 20,
    start: ({ address }) =>
      startPostfix({
        milters: [`{ ${address}, default_action=accept }`],
        settings: { max_use: '1000', smtpd_soft_error_limit: '1000', smtpd_hard_error_limit: '1000' },
      }),
  })
})
