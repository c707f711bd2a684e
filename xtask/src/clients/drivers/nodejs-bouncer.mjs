// Asks @crowdsec/nodejs-bouncer what the check wants to know: a line in, a line out.
//
// The arguments are the address of the local API and a key. Questions are `health`,
// `live ADDRESS`, `stream ADDRESS`, `wall ADDRESS` and `metrics`.

import { createInterface } from 'node:readline';
import { CrowdSecBouncer } from '@crowdsec/nodejs-bouncer';

const [url, bouncerApiToken] = process.argv.slice(2);
// The library would keep its last answer for a minute or two; the check asks until it changes.
const shared = { url, bouncerApiToken, cleanIpCacheDuration: 1, badIpCacheDuration: 1 };
const live = new CrowdSecBouncer({ ...shared, streamMode: false });
const stream = new CrowdSecBouncer({ ...shared, streamMode: true });

async function answer(verb, value) {
    if (verb === 'health') {
        const health = await live.lapiClient.checkConnectionHealth();
        return health.error ?? health.status;
    }
    if (verb === 'live') {
        return await live.getIpRemediation(value);
    }
    if (verb === 'stream') {
        await stream.refreshDecisions();
        return await stream.getIpRemediation(value);
    }
    if (verb === 'wall') {
        const { remediation, origin } = await stream.getIpRemediation(value);
        const { status } = await stream.getResponse({ ip: value, remediation, origin });
        return status;
    }
    await stream.pushUsageMetrics('check');
    return true;
}

for await (const line of createInterface({ input: process.stdin })) {
    const [verb, value] = line.split(' ');
    let found;
    try {
        found = await answer(verb, value);
    } catch (error) {
        found = { error: `${error}` };
    }
    process.stdout.write(`answer ${JSON.stringify(found)}\n`);
}
