/**
 * The front of the DNS part: what the composition root makes, and nothing else.
 */
export { Resolver } from './resolver.ts'
