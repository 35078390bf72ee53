import { Client, credentials, type ServiceError } from '@grpc/grpc-js';
import { decode, encode, type Fields, type Given, type Value } from '../../../src/protobuf/codec.ts';
import { IMAGE_STATUS, METHODS } from './cri-messages.ts';

type Name = keyof typeof METHODS;
/** What a method is asked. */
export type Asked<Method extends Name> = Given<(typeof METHODS)[Method]['request']>;
/** What it answers. */
export type Answer<Method extends Name> = Value<(typeof METHODS)[Method]['response']>;

const CALL_LIMIT_MS = 60_000;

/** Calls the plug-in of containerd by which Kubernetes uses it. */
export class CriClient {
  readonly #client: Client;

  /** `address`: path of containerd's socket. */
  constructor(address: string) {
    this.#client = new Client(`unix:${address}`, credentials.createInsecure());
  }

  /** Errors: `ServiceError`. */
  async call<Method extends Name>(method: Method, asked: Asked<Method>): Promise<Answer<Method>> {
    const { request, response } = METHODS[method];
    return await this.#call(`RuntimeService/${method}`, { request, response }, asked);
  }

  async hasImage(name: string): Promise<boolean> {
    const { image } = await this.#call('ImageService/ImageStatus', IMAGE_STATUS, { image: { image: name } });
    return image !== undefined;
  }

  close(): void {
    this.#client.close();
  }

  async #call<Request extends Fields, Response extends Fields>(
    method: string,
    { request, response }: { readonly request: Request; readonly response: Response },
    asked: Given<Request>,
  ): Promise<Value<Response>> {
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(
        `/runtime.v1.${method}`,
        (value: Given<Request>) => encode(request, value),
        (answer: Buffer) => decode(response, answer),
        asked,
        { deadline: Date.now() + CALL_LIMIT_MS },
        (error: ServiceError | null, answer?: Value<Response>) => {
          if (answer === undefined) reject(error ?? new Error(`${method}: neither an answer nor an error`));
          else resolve(answer);
        },
      );
    });
  }
}
