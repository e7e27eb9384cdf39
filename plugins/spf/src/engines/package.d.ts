/** What is used of spf-check 0.4.3, which has no types of its own. */
declare module 'spf-check' {
  export class SPFResult {
    constructor(result: string, message?: string)
    readonly result: string
    readonly message: string
  }

  export class SPF {
    constructor(domain: string, sender: string, options?: { readonly maxDNS?: number })
    queryDNSCount: number
    readonly options: { readonly maxDNS: number }
    resolveDNS(hostname: string, type: string, lookupLimit?: boolean): Promise<unknown>
    check(ip: string): Promise<{ readonly result: string; readonly message: string }>
  }
}
