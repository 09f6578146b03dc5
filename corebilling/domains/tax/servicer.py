"""gRPC door of taxes."""

from billing.tax.v1 import tax_service_pb2 as rpc
from billing.tax.v1.tax_service_pb2_grpc import TaxServiceServicer

from corebilling.domains.tax.service import TaxService
from corebilling.rpc.door import Context, Door


class TaxServicer(TaxServiceServicer):
    def __init__(self, door: Door, taxes: TaxService) -> None:
        self._door = door
        self._taxes = taxes

    async def CreateTaxRate(
        self, request: rpc.CreateTaxRateRequest, context: Context
    ) -> rpc.CreateTaxRateResponse:
        return await self._door.write(request, self._taxes.create_tax_rate)

    async def ListTaxRates(
        self, request: rpc.ListTaxRatesRequest, context: Context
    ) -> rpc.ListTaxRatesResponse:
        return await self._door.read(request, self._taxes.list_tax_rates)

    async def ArchiveTaxRate(
        self, request: rpc.ArchiveTaxRateRequest, context: Context
    ) -> rpc.ArchiveTaxRateResponse:
        return await self._door.write(request, self._taxes.archive_tax_rate)

    async def GetTaxTerms(self, request: rpc.GetTaxTermsRequest, context: Context) -> rpc.GetTaxTermsResponse:
        return await self._door.read(request, self._taxes.get_tax_terms)

    async def SetTaxTerms(self, request: rpc.SetTaxTermsRequest, context: Context) -> rpc.SetTaxTermsResponse:
        return await self._door.write(request, self._taxes.set_tax_terms)

    async def SetTaxExemption(
        self, request: rpc.SetTaxExemptionRequest, context: Context
    ) -> rpc.SetTaxExemptionResponse:
        return await self._door.write(request, self._taxes.set_tax_exemption)

    async def GetTaxExemption(
        self, request: rpc.GetTaxExemptionRequest, context: Context
    ) -> rpc.GetTaxExemptionResponse:
        return await self._door.read(request, self._taxes.get_tax_exemption)
