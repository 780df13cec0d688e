import { analytics } from "./analytics.ts";
import { billing } from "./billing.ts";
import { email } from "./email.ts";
import { inventory } from "./inventory.ts";
import { orders } from "./orders.ts";
import { shipping } from "./shipping.ts";

/** Everything that the shop does with its events. */
export const shopConsumers = [analytics, billing, email, inventory, orders, shipping];
