/** The path under which the site is, for the names of its values and locks, which all sites of an origin share. */

/** Empty for a whole origin, or like /feedback-app. The site serves this module from its /static/push/. */
export const SITE_PATH = new URL("../..", import.meta.url).pathname.replace(/\/$/, "");
