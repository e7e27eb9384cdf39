// Postfix and clients that leave while a filter keeps them waiting: with liveness its smtpd processes are free at once, without they stay.

import { freePort, requirePrograms, startPostfix } from '../harness/index.ts'
import { clientsThatLeave } from './suite.ts'

requirePrograms('postfix', 'pymilter')('clients of Postfix that leave', () => {
  clientsThatLeave(async ([first, second]) => {
    const port = await freePort()
    const mta = await startPostfix({ milters: [first!], also: [{ port, milters: [second!] }] })
    return { mta, ports: [mta.port, port] }
  })
})
