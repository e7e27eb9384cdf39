/**
 * Checks of our own configuration against itself and the machine it runs on.
 */
import { dirname } from 'node:path'
import { defaultBudget } from '../../../host/chain/budget.ts'
import { formatDuration, parseDuration } from '../../../host/config/duration.ts'
import type { Check } from '../finding.ts'
import { addressKey, isLoopback, leadsTo, ours, type Site } from '../site.ts'
import { socketEntries } from './entries.ts'

const OLDEST_NODE = 24

/** Milters that write Authentication-Results, by name or address. */
const WRITES_RESULTS = /opendkim|opendmarc|openarc|authentication.milter|dkimpy|pyspf|sid-milter/i

const usesSendmail = (site: Site): boolean => ours(site).some(({ attachment }) => attachment.mta === 'sendmail')

export const configurationChecks: readonly Check[] = [
  {
    code: 'CHAIN_LOOP',
    severity: 'wrong',
    title: 'The chain does not ask itself',
    find: site =>
      socketEntries(site)
        .filter(({ address }) => site.listeners.some(listener => leadsTo(address, listener.address)))
        .map(({ name, written, at }) => ({
          what: `filter ${name} is at ${written}, where milterhost itself listens: every session opens another one`,
          where: `${site.file}: ${at}`,
          write: `${at}: the address of the milter that is meant`,
        })),
  },
  {
    code: 'FILTER_UNREACHABLE',
    severity: 'wrong',
    title: 'The external milters of the chain answer',
    applies: site => socketEntries(site).length > 0,
    find: site =>
      socketEntries(site).flatMap(({ name, address, at, written }) => {
        const reach = site.reach.get(addressKey(address))
        if (reach === undefined || reach.kind === 'answers') return []
        if (site.listeners.some(listener => leadsTo(address, listener.address))) return []
        return [
          {
            what: `filter ${name} at ${written}: ${reach.detail.replace(/^filter doctor /, 'it ').replace(/ filter doctor /, ' it ')}`,
            where: `${site.file}: ${at}`,
            write: 'start that milter, or write its own socket; milterhost check asks it again',
          },
        ]
      }),
  },
  {
    code: 'FILTER_TIMEOUT',
    severity: 'better',
    title: 'No filter is given more time than the chain has',
    find: site => {
      const mta = usesSendmail(site) ? 'sendmail' : 'postfix'
      const { command, end } = site.configuration.settings.budget
      const most = { command: command ?? defaultBudget(mta).command, end: end ?? defaultBudget(mta).end }
      return site.configuration.entries.flatMap(({ entry, policy, at = 'filters' }) =>
        (['command', 'end'] as const).flatMap(what => {
          const given = entry.options.timeouts?.[what]
          if (given === undefined || parseDuration(given) <= most[what]) return []
          return [
            {
              what: `filter ${policy.name} is given ${formatDuration(parseDuration(given))} at ${what}, and the whole chain has ${formatDuration(most[what])}`,
              where: `${site.file}: ${at}`,
              write: `budget: { ${what}: '${formatDuration(parseDuration(given) + 5_000)}' }, and the MTA's own limit above it`,
            },
          ]
        }),
      )
    },
  },
  {
    code: 'FILTER_RESULTS_TWICE',
    severity: 'better',
    title: 'Authentication-Results are written by one',
    find: site => {
      const own = site.configuration.entries.find(
        ({ entry, policy }) => policy.enabled && ['spf', 'dkim'].includes(entry.plugin?.name ?? ''),
      )
      if (own === undefined) return []
      return socketEntries(site)
        .filter(({ name, written }) => WRITES_RESULTS.test(`${name} ${written}`))
        .map(({ name, at }) => ({
          what: `filter ${name} and plugin ${own.entry.plugin?.name} both write Authentication-Results, under one name unless told otherwise: who reads them takes either`,
          where: `${site.file}: ${at}`,
          write: `authentication: { authservId: 'a name of its own' }, or one of the two with enabled: false`,
        }))
    },
  },
  {
    code: 'LIVENESS_ELSEWHERE',
    severity: 'better',
    title: "The MTA's clients can be seen",
    applies: ({ configuration }) => configuration.settings.liveness === 'proc',
    find: site => {
      const away = site.listeners.filter(({ address }) => address.kind === 'inet' && !isLoopback(address.host))
      if (site.configuration.settings.liveness !== 'proc' || away.length === 0 || ours(site).length > 0) return []
      return [
        {
          what: `milterhost listens on ${away.map(({ written }) => written).join(', ')} for an MTA on another machine: its clients cannot be seen to leave`,
          where: `${site.file}: liveness`,
          write: "liveness: agent('inet:10030@MTA', { token: '…' }), with milterhost liveness-agent beside the MTA",
        },
      ]
    },
  },
  {
    code: 'SPOOL_FOLDER',
    severity: 'wrong',
    title: 'Large bodies have a place',
    find: site => {
      const { directory } = site.configuration.settings.spool
      const facts = site.machine.path(directory)
      const where = `${site.file}: spool.directory`
      if (facts === null && site.machine.path(dirname(directory)) === null)
        return [
          {
            what: `${directory} cannot be made: ${dirname(directory)} is not there`,
            where,
            write: `mkdir -p ${dirname(directory)}`,
          },
        ]
      if (facts !== null && facts.kind !== 'directory')
        return [{ what: `${directory} is not a folder`, where, write: "spool: { directory: '/var/tmp/milterhost' }" }]
      if (facts !== null && (facts.mode & 0o077) !== 0)
        return [
          {
            what: `${directory} is open to others (mode 0${(facts.mode & 0o777).toString(8)}), and milterhost does not put mail there`,
            where: directory,
            write: `chmod 700 ${directory}`,
          },
        ]
      return []
    },
  },
  {
    code: 'SPOOL_MEMORY',
    severity: 'better',
    title: 'Large bodies are on a disk',
    find: site => {
      const { directory } = site.configuration.settings.spool
      const below = site.machine.fileSystem(directory) ?? site.machine.fileSystem(dirname(directory))
      if (below?.inMemory !== true) return []
      return [
        {
          what: `${directory} is in memory (tmpfs): bodies that were to leave memory stay in it`,
          where: `${site.file}: spool.directory`,
          write: "spool: { directory: '/var/tmp/milterhost' }",
        },
      ]
    },
  },
  {
    code: 'SPOOL_SPACE',
    severity: 'better',
    title: 'The largest body fits',
    find: site => {
      const { directory } = site.configuration.settings.spool
      const below = site.machine.fileSystem(directory) ?? site.machine.fileSystem(dirname(directory))
      const { body } = site.configuration.settings.limits
      if (below === null || below.free >= body) return []
      const mebibytes = Math.floor(below.free / 1024 / 1024)
      return [
        {
          what: `${mebibytes} MiB are free below ${directory}, and limits.body lets in ${Math.floor(body / 1024 / 1024)} MiB`,
          where: `${site.file}: spool.directory`,
          write: `limits: { body: '${Math.max(1, Math.floor(mebibytes / 4))}MiB' }, or a larger disk`,
        },
      ]
    },
  },
  {
    code: 'NODE_VERSION',
    severity: 'wrong',
    title: 'Node is new enough',
    find: ({ machine: { nodeVersion } }) =>
      Number.parseInt(nodeVersion, 10) >= OLDEST_NODE
        ? []
        : [
            {
              what: `Node ${nodeVersion} runs milterhost, which needs ${OLDEST_NODE}`,
              where: process.execPath,
              write: `install Node ${OLDEST_NODE} or newer`,
            },
          ],
  },
]
