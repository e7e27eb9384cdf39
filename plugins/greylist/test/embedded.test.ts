import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { EmbeddedStore } from '../src/embedded.ts'
import { storeContract, type TestTime } from './store-contract.ts'

function open(path: string, time: TestTime): EmbeddedStore {
  const problem = (fields: object, message: string): never => {
    throw new Error(`${message} ${JSON.stringify(fields)}`)
  }
  return new EmbeddedStore({ path, sweepEvery: 0, now: () => time.now, problem })
}

storeContract('embedded', async time => {
  const folder = mkdtempSync(join(tmpdir(), 'greylist-'))
  const path = join(folder, 'greylist.sqlite')
  const store = open(path, time)
  return {
    store,
    again: async () => open(path, time),
    end: async () => {
      await store.close()
      rmSync(folder, { recursive: true })
    },
  }
})
