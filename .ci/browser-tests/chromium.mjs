// Debian's Chromium, which can reach only loopback.
import { mkdirSync, writeFileSync } from 'node:fs';
import { chromium } from 'playwright-core';

const options = (home) => ({
  executablePath: '/usr/bin/chromium',
  env: { HOME: home, PATH: process.env.PATH },
  args: [
    '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update',
    '--disable-sync', '--no-proxy-server',
    '--host-resolver-rules=MAP *.test 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE *.localhost, EXCLUDE 127.0.0.1',
  ],
});

// launch starts a browser that trusts what is in home.
export const launch = (home) => chromium.launch(options(home));

// launchWithoutCookies starts a browser whose settings block all cookies. It
// has a single, empty context.
export function launchWithoutCookies(home) {
  const profile = `${home}/without-cookies`;
  mkdirSync(`${profile}/Default`, { recursive: true });
  writeFileSync(`${profile}/Default/Preferences`, JSON.stringify({
    profile: { default_content_setting_values: { cookies: 2 } }, // 2 is "block"
  }));
  return chromium.launchPersistentContext(profile, options(home));
}
