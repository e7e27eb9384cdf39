// Sendmail and clients that leave while a filter keeps them waiting: with liveness its processes end at once, without they stay.

import { freePort, requirePrograms, startSendmail } from '../harness/index.ts'
import { clientsThatLeave } from './suite.ts'

requirePrograms('sendmail', 'pymilter')('clients of Sendmail that leave', () => {
  clientsThatLeave(async addresses => {
    const ports = await Promise.all(addresses.map(() => freePort()))
    const mc = addresses.flatMap((address, n) => [
      `MAIL_FILTER(\`f${n}', \`S=${address}, F=T, T=C:1m;S:30s;R:30s;E:5m')dnl`,
      `DAEMON_OPTIONS(\`Family=inet, Name=d${n}, Port=${ports[n]}, Addr=127.0.0.1, InputMailFilters=f${n}')dnl`,
    ])
    return { mta: await startSendmail({ mc }), ports }
  })
})
