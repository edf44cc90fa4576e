/** Shows the result of a test notification on the devices page while it is awaited. */

import { follow } from "./test-notification.js";

const place = document.querySelector("[data-test]");

if (place) follow(place.dataset.test, place);
