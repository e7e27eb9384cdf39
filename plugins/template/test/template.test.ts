import { testPlugin } from 'milterhost/testing'
import { expect, test } from 'vitest'
import template from '../src/index.ts'

const message = 'From: a@example.net\r\nSubject: hello\r\n\r\n12345\r\n'

test('a message above the size is tagged on top and counted', async () => {
  await using host = await testPlugin(template({ size: 20 }))
  const { message: delivered } = await host.deliver({ message })
  expect(delivered?.headers[0]).toEqual({ name: 'X-Large-Message', value: `yes; size=${message.length}; limit=20` })
  expect(host.counters()).toEqual([
    {
      name: 'milterhost_template_tagged_total',
      help: 'Messages that were tagged as large',
      samples: [{ labels: { filter: 'template' }, value: 1 }],
    },
  ])
})

test('a message of exactly the size goes through untouched', async () => {
  await using host = await testPlugin(template({ size: message.length }))
  const { verdict, edits } = await host.deliver({ message })
  expect(verdict.kind).toBe('continue')
  expect(edits).toEqual([])
})

test('a tag that came with the message is taken away', async () => {
  await using host = await testPlugin(template({ header: 'X-Big' }))
  const { message: delivered } = await host.deliver({ message: `x-big: yes\r\n${message}` })
  expect(delivered?.header('X-Big')).toBeUndefined()
  expect(delivered?.header('Subject')).toBe('hello')
})

test('a header name that cannot be one is refused when the configuration is loaded', async () => {
  await expect(testPlugin(template({ header: 'X Big' }))).rejects.toThrow('option header: must be the name of a header')
})
