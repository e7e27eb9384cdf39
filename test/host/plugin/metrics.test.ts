import { expect, test } from 'vitest'
import { MetricsRegistry } from '../../../src/host/plugin/metrics.ts'

test('a counter adds up for each set of labels, in whatever order they are named', () => {
  const metrics = new MetricsRegistry()
  const counter = metrics.counter('deferred_total', 'Deferred')
  counter.add()
  counter.add(2, { a: '1', b: '2' })
  metrics.counter('deferred_total', 'Deferred').add(3, { b: '2', a: '1' })
  expect(metrics.snapshot()).toEqual([
    {
      name: 'deferred_total',
      help: 'Deferred',
      samples: [
        { labels: {}, value: 1 },
        { labels: { a: '1', b: '2' }, value: 5 },
      ],
    },
  ])
})

test('a name is made one that Prometheus takes', () => {
  const metrics = new MetricsRegistry()
  metrics.counter('milterhost_my-plugin_x.y', '')
  metrics.counter('9lives', '')
  expect(metrics.snapshot().map(({ name }) => name)).toEqual(['milterhost_my_plugin_x_y', '_9lives'])
})

test('labels that are frozen count as others do', () => {
  const metrics = new MetricsRegistry()
  const counter = metrics.counter('x', '')
  const frozen = Object.freeze({ a: '1' })
  for (const labels of [frozen, { a: '1' }, frozen, frozen, { a: '2' }]) counter.add(1, labels)
  expect(metrics.snapshot()[0]!.samples.map(({ value }) => value)).toEqual([4, 1])
})

test('a counter never falls', () => {
  const metrics = new MetricsRegistry()
  const counter = metrics.counter('x', '')
  for (const amount of [-1, 0, Number.NaN, Number.POSITIVE_INFINITY]) counter.add(amount)
  expect(metrics.snapshot()[0]?.samples).toEqual([])
})

test('labels that come from mail do not fill the memory', () => {
  const metrics = new MetricsRegistry()
  const counter = metrics.counter('x', '')
  for (let i = 0; i < 5000; i++) counter.add(1, { sender: String(i) })
  const samples = metrics.snapshot()[0]!.samples
  expect(samples.length).toBe(1001)
  expect(samples.at(-1)).toEqual({ labels: { overflow: 'true' }, value: 4000 })
})
