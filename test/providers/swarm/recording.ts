import {
  parseSwarmNetwork,
  parseSwarmService,
  type SwarmNetwork,
  type SwarmService,
} from "../../../src/providers/swarm/service.ts";
import { parseSwarmTask, type SwarmTask } from "../../../src/providers/swarm/task.ts";
import answers from "../../fixtures/swarm-answers.json";

/** What an engine 20.10.24 with one node answered, service by service, while each was in another state. */
export const recorded: {
  readonly networks: readonly unknown[];
  readonly services: readonly { readonly Spec: { readonly Name: string } }[];
  readonly tasks: readonly { readonly ServiceID: string }[];
} = answers;

/** The recorded networks, parsed. */
export const recordedNetworks: readonly SwarmNetwork[] = recorded.networks
  .map(parseSwarmNetwork)
  .filter((network) => network !== null);

/** The id of a recorded network. */
export function networkNamed(name: string): string {
  const found = recordedNetworks.find((network) => network.name === name);
  if (found === undefined) throw new Error(`no network ${name} was recorded`);
  return found.id;
}

/** A recorded service and its tasks, parsed. */
export function serviceNamed(name: string): {
  readonly service: SwarmService;
  readonly tasks: readonly SwarmTask[];
} {
  const service = parseSwarmService(recorded.services.find(({ Spec }) => Spec.Name === name));
  if (service === null) throw new Error(`no service ${name} was recorded`);
  const tasks = recorded.tasks
    .map(parseSwarmTask)
    .filter((task) => task !== null && task.service === service.id) as SwarmTask[];
  return { service, tasks };
}
