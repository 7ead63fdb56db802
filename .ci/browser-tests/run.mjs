// Tests the example programs in Chromium:
//
//     node run.mjs BINARIES SCREENSHOTS [CASE]
//
// BINARIES is a directory with the examples and their provider. Screenshots of the
// pages, and of failed cases, are saved in SCREENSHOTS. With CASE, only the case of
// that name runs.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { cases } from './cases/check.mjs';
import './cases/login.mjs';
import './cases/again.mjs';
import './cases/cookies.mjs';
import './cases/foreign.mjs';
import './cases/formpost.mjs';
import './cases/tokens.mjs';
import './cases/endings.mjs';
import './cases/spa.mjs';
import './cases/replicas.mjs';
import './cases/ownsessions.mjs';
import './cases/tenants.mjs';
import './cases/roles.mjs';
import './cases/silent.mjs';
import './cases/logout.mjs';
import './cases/signin.mjs';
import './cases/customer.mjs';
import { certify, trust } from './certificates.mjs';
import { launch, launchWithoutCookies } from './chromium.mjs';
import { lookAtAll } from './look.mjs';
import { Person } from './person.mjs';
import { stopAll } from './programs.mjs';
import { closeAll } from './servers.mjs';
import { below, embedded, entering, lasting, loopback, losing, names, tenants, tls } from './worlds.mjs';

// The examples differ only in their adapters. So one example runs all cases in each
// world, and each example runs in the world that is like production.
const kept = ['whole login', 'logout', 'tokens in cookies', 'one refresh', 'silent login', 'silent login without a user', 'roles'];
const plan = [
  { build: tls, examples: ['nethttp', 'gin', 'echo'] },
  { build: loopback, examples: ['nethttp'] },
  { build: losing, examples: ['nethttp', 'gin', 'echo'], only: ['session lost'] },
  { build: losing, examples: ['spa'], only: ['single page, session lost'] },
  ...[true, false].map((secure) => ({
    build: lasting({ secure, sameSite: false, channel: 'back', providedBy: 'lasting' }), examples: ['spa'],
    only: ['single page', 'single page, session over', 'single page, logout'],
  })),
  ...[tls, loopback].map((build) => ({
    build, examples: ['formpost'], only: ['form_post', 'form_post without scripts', 'silent login without a user', 'whole login', 'five tabs', 'back to the provider', 'logout'],
  })),
  { build: embedded, examples: ['nethttp', 'gin', 'echo'], only: ['whole login', 'five tabs', 'back to the callback', 'logout'] },
  { build: embedded, examples: ['replicas'], only: ['whole login', 'five tabs', 'back to the callback', 'logout', 'replicas'] },
  { build: below('/reader'), examples: ['ownsessions'], only: ['own sessions'] },
  { build: tenants, examples: ['tenants'], only: cases.map(({ name }) => name).filter((name) => name.startsWith('customers')) },
  { build: entering('/signin'), examples: ['entering'], only: cases.map(({ name }) => name).filter((name) => name.startsWith('own sign-in page')) },
  { build: entering('', 'ask'), examples: ['entering'], only: ['customer by address', 'customer, listed provider'] },
  { build: entering('/signin', 'ask'), examples: ['entering'], only: ['customer, own sign-in page'] },
  { build: entering('', 'mail'), examples: ['entering'], only: ['customer by link'] },
  ...[{ secure: true, channel: 'page' }, { secure: false, channel: 'bye' }].map((where) => ({
    build: lasting({ sameSite: false, ...where }), examples: ['leaving'],
    only: cases.map(({ name }) => name).filter((name) => /^log out |^logout page|^session over/.test(name)),
  })),
  ...[
    { secure: true, sameSite: false, channel: 'back', only: [...kept, 'access withdrawn', 'back channel', 'logout everywhere'] },
    { secure: true, sameSite: true, channel: 'back', only: [...kept, 'back channel'] },
    { secure: false, sameSite: false, channel: 'back', only: [...kept, 'back channel'] },
    { secure: true, sameSite: false, channel: 'front', only: ['front channel from another site', 'framed by others'] },
    ...[true, false].map((secure) => ({ secure, sameSite: true, channel: 'front', only: ['front channel', 'framed by others'] })),
  ].map(({ only, ...where }) => ({ build: lasting(where), examples: ['lasting'], only })),
];

const [binaries, screenshots, wanted] = process.argv.slice(2);
const home = mkdtempSync(`${tmpdir()}/pixy-browser-`);
const certificate = certify(home, names);
trust(home, certificate.ca);
const parts = { binaries, certificate };
const browser = await launch(home);
let passed = 0;
let failed = 0;

try {
  for (const { build, examples, only } of plan) {
    const chosen = cases.filter(({ name, special }) => (only ? only.includes(name) : !special) && (!wanted || name === wanted));
    for (const example of examples) {
      const world = await build(parts, example);
      for (const one of chosen) await walkThrough(one, world);
    }
  }
  if (!wanted) await lookAtAll({ browser, parts, screenshots, example: 'nethttp' });
} catch (error) {
  failed += 1;
  console.error(`FAILED  ${error.stack}`);
} finally {
  await browser.close();
  stopAll();
  closeAll();
  rmSync(home, { recursive: true, force: true, maxRetries: 5 });
}
console.log(`${passed} cases passed, ${failed} failed; screenshots are in ${screenshots}`);
process.exit(failed || !passed ? 1 : 0);

// walkThrough runs one case with new browser profiles.
async function walkThrough({ name, what, walk }, world) {
  const contexts = [];
  const makePerson = async ({ keepsCookies = true, runsScripts = true } = {}) => {
    const context = keepsCookies ? await browser.newContext({ javaScriptEnabled: runsScripts }) : await launchWithoutCookies(home);
    contexts.push(context);
    return new Person(world, context);
  };
  try {
    const person = await makePerson();
    await Promise.race([walk(person, makePerson), tooLong()]);
    passed += 1;
    console.log(`ok  ${world.name}: ${name}: ${what}`);
  } catch (error) {
    failed += 1;
    console.error(`FAILED  ${world.name}: ${name}: ${error.stack}\nthe application printed:\n${world.output()}`);
    for (const [i, page] of contexts.flatMap((context) => context.pages()).entries()) {
      console.error(`tab ${i} is at ${page.url()}`);
      await page.screenshot({ path: `${screenshots}/failed-${failed}-${i}.png` }).catch(() => {});
    }
  }
  for (const context of contexts) await context.close();
}

// tooLong limits waits that have no timeout of their own.
async function tooLong() {
  await sleep(60_000, undefined, { ref: false });
  throw new Error('this case takes too long');
}
