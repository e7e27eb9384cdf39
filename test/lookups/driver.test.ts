import { expect, it } from 'vitest'
import { loadDriver } from '../../src/lookups/driver.ts'
import { codeOf } from './support.ts'

it('a driver that is not installed is named, with the command that installs it', async () => {
  const missing: string = 'milterhost-no-such-driver'
  const load = loadDriver('users', missing, () => import(missing))
  await expect(load).rejects.toThrow(
    `look-up users needs the package ${missing}, which is not installed: npm install ${missing}`,
  )
  expect(await codeOf(load)).toBe('LOOKUP_DRIVER')
})

it('a driver that is there and does not load says why', async () => {
  const load = loadDriver('users', 'pg', async () => {
    throw Object.assign(new Error("Cannot find package 'pg-pool'"), { code: 'ERR_MODULE_NOT_FOUND' })
  })
  await expect(load).rejects.toThrow(/pg cannot be loaded.*pg-pool/)
})
