"""gRPC door of customers."""

from billing.customer.v1 import customer_service_pb2 as rpc
from billing.customer.v1.customer_service_pb2_grpc import CustomerServiceServicer

from corebilling.domains.customer.service import CustomerService
from corebilling.rpc.door import Context, Door


class CustomerServicer(CustomerServiceServicer):
    def __init__(self, door: Door, customers: CustomerService) -> None:
        self._door = door
        self._customers = customers

    async def CreateCustomer(
        self, request: rpc.CreateCustomerRequest, context: Context
    ) -> rpc.CreateCustomerResponse:
        return await self._door.write(request, self._customers.create_customer)

    async def RegisterCustomer(
        self, request: rpc.RegisterCustomerRequest, context: Context
    ) -> rpc.RegisterCustomerResponse:
        return await self._door.write(request, self._customers.register_customer)

    async def GetCustomer(self, request: rpc.GetCustomerRequest, context: Context) -> rpc.GetCustomerResponse:
        return await self._door.read(request, self._customers.get_customer)

    async def ListCustomers(
        self, request: rpc.ListCustomersRequest, context: Context
    ) -> rpc.ListCustomersResponse:
        return await self._door.read(request, self._customers.list_customers)

    async def UpdateCustomer(
        self, request: rpc.UpdateCustomerRequest, context: Context
    ) -> rpc.UpdateCustomerResponse:
        return await self._door.write(request, self._customers.update_customer)

    async def EraseCustomer(
        self, request: rpc.EraseCustomerRequest, context: Context
    ) -> rpc.EraseCustomerResponse:
        return await self._door.write(request, self._customers.erase_customer)
