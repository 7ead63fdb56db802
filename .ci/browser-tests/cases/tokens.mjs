// An application that keeps tokens, which live for three seconds.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { checkSpecial } from './check.mjs';
import { minutes, stored } from './cookies.mjs';

const answer = 'The API knows Grace Hopper';

checkSpecial('kept tokens', 'in a cookie like the session\'s, and two tabs at once refresh them once, again and again', async (ada) => {
  const page = await ada.logIn();
  await ada.reads(page, answer);
  const cookies = new Map([...await ada.cookies()].map(([name, cookie]) => [name.replace(/^__\w+-/, ''), cookie]));
  assert.deepEqual([...cookies.keys()].sort(), ['pixy-logout', 'pixy-session', 'pixy-tokens']);
  stored(ada.world, cookies.get('pixy-tokens'), { prefix: '__Host-', lifetime: minutes(12 * 60) });
  assert.equal(await page.evaluate(() => document.cookie), '', 'a script can read them');

  // The provider ends a login whose refresh token comes twice.
  const seen = new Set([cookies.get('pixy-tokens').value]);
  for (let round = 1; round <= 3; round += 1) {
    await sleep(3_100);
    const tabs = await Promise.all([ada.tab('/me'), ada.tab('/me')]);
    for (const tab of tabs) {
      await ada.reads(tab, answer);
      await tab.close();
    }
    const { value } = (await ada.cookies()).get(cookies.get('pixy-tokens').name);
    assert.ok(!seen.has(value), 'nothing was refreshed');
    seen.add(value);
  }

  await page.getByRole('button', { name: 'Log out' }).click();
  await ada.reads(page, 'Home');
  assert.deepEqual([...(await ada.cookies()).keys()], []);
});
