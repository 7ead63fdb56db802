// Debian's Chromium, kept off every network but loopback.
import { mkdirSync, writeFileSync } from 'node:fs';
import { chromium } from 'playwright-core';

const options = (home) => ({
  executablePath: '/usr/bin/chromium',
  env: { HOME: home, PATH: process.env.PATH },
  args: [
    '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update',
    '--disable-sync', '--no-proxy-server',
    '--host-resolver-rules=MAP *.test 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1',
  ],
});

// launch starts a browser that trusts what is in home.
export const launch = (home) => chromium.launch(options(home));

// launchWithoutCookies starts one whose user has forbidden all cookies in the
// settings. It has one context only, which holds nothing.
export function launchWithoutCookies(home) {
  const profile = `${home}/without-cookies`;
  mkdirSync(`${profile}/Default`, { recursive: true });
  writeFileSync(`${profile}/Default/Preferences`, JSON.stringify({
    profile: { default_content_setting_values: { cookies: 2 } }, // 2 is "block"
  }));
  return chromium.launchPersistentContext(profile, options(home));
}
