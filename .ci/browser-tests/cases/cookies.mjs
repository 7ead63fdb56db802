// Cookies that the browser stores or blocks.
import assert from 'node:assert/strict';
import { check, checkSpecial } from './check.mjs';

export const minutes = (n) => n * 60;

// stored checks one cookie, including its lifetime in seconds.
export function stored(world, cookie, { prefix, path = '/', lifetime }) {
  const { hostname } = new URL(world.app);
  const left = cookie.expires - Date.now() / 1000;
  assert.ok(cookie.name.startsWith(world.secure ? `${prefix}pixy-` : 'pixy-'), cookie.name);
  assert.deepEqual(
    { domain: cookie.domain, path: cookie.path, secure: cookie.secure, httpOnly: cookie.httpOnly, sameSite: cookie.sameSite },
    { domain: hostname, path, secure: world.secure, httpOnly: true, sameSite: 'Lax' }, // a cookie with Domain begins with a dot here
  );
  assert.ok(left > lifetime - minutes(2) && left <= lifetime + 1, `${cookie.name} lasts for ${left} s`);
}

check('cookie attributes', '__Host- on https, HttpOnly, Lax, no domain, and the logout hint for its path alone', async (ada) => {
  const page = await ada.tab('/me');
  await ada.isAsked(page);
  const [attempt, ...others] = (await ada.cookies()).values();
  assert.equal(others.length, 0);
  stored(ada.world, attempt, { prefix: '__Host-', lifetime: minutes(10) });
  assert.match(attempt.name, /pixy-login-/);

  await ada.sayWho(page);
  await ada.arrivesAt(page, '/me');
  const cookies = new Map([...await ada.cookies()].map(([name, cookie]) => [name.replace(/^__\w+-/, ''), cookie]));
  const landed = [...cookies.keys()].find((name) => name.startsWith('pixy-landed-'));
  assert.deepEqual([...cookies.keys()].sort(), [landed, 'pixy-last', 'pixy-logout', 'pixy-session']);
  stored(ada.world, cookies.get(landed), { prefix: '__Host-', lifetime: minutes(1) });
  stored(ada.world, cookies.get('pixy-session'), { prefix: '__Host-', lifetime: minutes(12 * 60) });
  stored(ada.world, cookies.get('pixy-logout'), { prefix: '__Secure-', path: '/auth/logout', lifetime: minutes((12 + 30 * 24) * 60) });
  stored(ada.world, cookies.get('pixy-last'), { prefix: '__Host-', lifetime: minutes((12 + 30 * 24) * 60) });
  assert.equal(await page.evaluate(() => document.cookie), '', 'a script can read them');
});

check('cookies blocked', 'in the browser\'s settings: two logins, then a page that says so, and no loop', async (ada, makePerson) => {
  const bob = await makePerson({ keepsCookies: false });
  const page = await bob.tab('/me');
  const failed = page.getByText('allow cookies for this site');
  const ends = async () => {
    bob.visited.length = 0;
    for (let forms = 0; ; forms += 1) {
      await page.getByRole('heading', { level: 1 }).waitFor();
      if (await failed.isVisible()) return forms;
      assert.ok(forms < 5, `the login does not stop: ${bob.visited.join('\n')}`);
      const left = page.waitForEvent('framenavigated');
      await bob.sayWho(page);
      await left;
    }
  };
  assert.equal(await ends(), 2);
  await page.waitForLoadState('networkidle');
  assert.deepEqual(bob.visited.map((url) => new URL(url).pathname),
    ['/authorize', '/auth/callback', '/authorize', '/authorize', '/auth/callback']);
  assert.deepEqual(await bob.context.cookies(), []);
  await page.getByRole('link', { name: 'Try again' }).click();
  await bob.isAsked(page);
  assert.equal(await ends(), 2);
});

checkSpecial('session lost', 'two logins, then an error page with a link to try again, and one line in the log', async (ada) => {
  const page = await ada.tab('/me');
  await ada.sayWho(page);
  await ada.isAsked(page);
  await ada.sayWho(page);
  await ada.reads(page, 'Your login did not last');
  await page.getByText('(session_lost)').waitFor();
  assert.equal(ada.visited.filter((url) => new URL(url).pathname === '/auth/callback').length, 2, ada.visited.join('\n'));
  const lines = ada.world.output().split('\n').filter((line) => line.includes('code=session_lost'));
  assert.equal(lines.length, 1, lines.join('\n'));
  assert.match(lines[0], /without the session's cookie/);
  await page.getByRole('link', { name: 'Try again' }).click();
  await ada.isAsked(page);
});
